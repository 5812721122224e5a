# must be caught by: log/fatal in retry/not-after-a-status*
# and: log/contains in retry/*
# What a step says on stdout is thrown away.
s|"\$@" 2>&1|"$@" 2>\&1 >/dev/null|

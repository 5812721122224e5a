# must be caught by: claim in cp/*
# A failure is told, but not by the exit status.
s/^    exit 1$/    exit 0/

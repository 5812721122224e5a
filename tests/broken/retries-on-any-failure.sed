# must be caught by: calls/exec in retry/not-after-a-status*
# and: exec-status in retry/* exec/*
# Every status but 0 leads to a second exec.
s/= 137 /!= 0 /

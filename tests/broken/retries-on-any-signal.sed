# must be caught by: calls/exec in retry/not-after-a-status[status=13*
# and: exec-status in retry/not-after-a-status[status=13*
# Every status above 128 is taken for a kill.
s/= 137 /-gt 128 /

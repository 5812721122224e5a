# must be caught by: exec-status in retry/not-after-a-status[status=1]
# The status of update-ca-certificates is lost.
s/^update-ca-certificates &&/update-ca-certificates ;/

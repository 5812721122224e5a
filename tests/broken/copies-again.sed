# must be caught by: calls/cp in kill/before-command
# The retry begins with another copy.
/^    sleep 1$/a run cp smolvm machine cp "$cert" "$machine:$ca"

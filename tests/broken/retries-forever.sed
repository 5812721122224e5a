# must be caught by: calls/exec in kill/twice
# and: claim time exec-status log/fatal log/contains in kill/twice
# 137 leads to one more exec, always.
s/^if \(\[ \$status = 137 \]\); then$/while \1; do/
s/^fi$/done/

# must be caught by: calls/exec in install/undisturbed
# and: exec-status in *
# shows undisturbed
# The second exec comes after every first one.
s/^if \[ \$status = 137 \]/if :/

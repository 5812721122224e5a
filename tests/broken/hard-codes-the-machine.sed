# must be caught by: claim in machines/random-name
# and: calls/* claim exec-status log/* store/* in machines/*
# The machine's name is the one that was seen once.
s/^machine=\$1/machine=kp1/

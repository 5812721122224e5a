# must be caught by: log/label in plan/*
# shows undisturbed
# The line of success names the CA that was not chosen as well.
/^echo "installed/s/\$label CA/$label CA (of egress and pipelock)/

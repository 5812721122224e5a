# must be caught by: log/label in install/undisturbed
# shows undisturbed
# The right CA is installed by the other's name.
/^echo "installed/s/\$label/pipelock/

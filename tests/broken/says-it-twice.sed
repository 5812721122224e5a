# must be caught by: log/fingerprint in install/undisturbed
# shows undisturbed
# The fingerprint is printed on stdout as well.
/^echo "installed/s|>&2|\| tee /dev/stderr|

# must be caught by: log/fingerprint in install/undisturbed
# shows undisturbed
# The fingerprint is not found by who searches for it.
/^echo "installed/s/\${print[^}]*}/$(echo "${print#*=}" | tr A-F a-f)/

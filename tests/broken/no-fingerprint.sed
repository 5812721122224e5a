# must be caught by: log/fingerprint in install/undisturbed
# shows undisturbed
# Success does not say of which certificate.
/^echo "installed/s/ \${print[^}]*}//

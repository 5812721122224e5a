# must be caught by: log/fingerprint in cp/*
# A failure names the certificate as a success does.
s/echo "\$failure"/echo "$failure (${print#*=})"/

# must be caught by: idempotent in rotation/same-ca-twice
# and: claim exec-status log/label log/fingerprint in rotation/* partial/*
# What is installed already is an error.
s/"chown root/"test ! -L \/etc\/ssl\/certs\/bot-bottle-mitm.pem \&\& chown root/

# must be caught by: claim in exec/installs-nothing
# and: log/fatal log/fingerprint in exec/installs-nothing
# What update-ca-certificates says is believed.
/^update-ca-certificates &&$/,/^openssl verify/c update-ca-certificates"

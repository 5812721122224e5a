# must be caught by: store/must/bundle-has-ca in install/undisturbed
# and: store/* in *
# and: claim exec-status log/fatal log/fingerprint log/contains in exec/* retry/*
# shows undisturbed
# The file is put in place, and that is all.
/^chmod 644/,/^openssl verify/c chmod 644 '$ca'"

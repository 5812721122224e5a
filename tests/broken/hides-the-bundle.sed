# must be caught by: store/must/bundle-readable in install/undisturbed
# and: store/exact/files in *
# shows undisturbed
# The bundle is for root alone.
s/^update-ca-certificates &&/& chmod 600 '$bundle' \&\&/

# must be caught by: store/must/bundle-has-roots in install/undisturbed
# and: store/exact/files in *
# shows undisturbed
# The proxy's CA is all that is trusted.
s/^update-ca-certificates &&/& cat '$ca' >'$bundle' \&\&/

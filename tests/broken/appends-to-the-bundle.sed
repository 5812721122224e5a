# must be caught by: store/should/bundle-no-duplicates in install/undisturbed
# and: store/exact/files in *
# shows undisturbed
# To be sure the CA is added to the bundle by hand, too.
s/^update-ca-certificates &&/& cat '$ca' >>'$bundle' \&\&/

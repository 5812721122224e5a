# must be caught by: store/must/ca-file-mode in install/undisturbed
# and: store/exact/files in *
# shows undisturbed
# Others than root may change the CA.
s/chown root:root/chown daemon:root/

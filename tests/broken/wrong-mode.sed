# must be caught by: store/must/ca-file-mode in install/undisturbed
# and: store/exact/files in *
# shows undisturbed
# The CA file is for root alone.
s/^chmod 644/chmod 600/

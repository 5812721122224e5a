# must be caught by: store/must/ca-file-mode in copied/other-mode
# The mode is whatever the driver made.
/^chmod 644/d

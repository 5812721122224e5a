# must be caught by: store/must/ca-file-mode in copied/other-group
# The owner is whatever the driver made.
s/chown root:root '\$ca' &&//

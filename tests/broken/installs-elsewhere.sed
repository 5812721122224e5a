# must be caught by: store/must/ca-file in install/undisturbed
# and: store/* in *
# shows undisturbed
# The CA gets a file name of its own.
/^machine=/a ca=${ca%/*}/proxy.crt

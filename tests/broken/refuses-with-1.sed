# must be caught by: exit in certificate/unusable[file=two]
# Bad input looks like a machine that failed.
s/^    exit 2$/    exit 1/

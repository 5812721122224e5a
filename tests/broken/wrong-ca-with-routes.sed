# must be caught by: store/must/ca-file-bytes in plan/with-routes
# and: log/fingerprint store/* in *
# and: claim calls/* exit in certificate/*
# shows undisturbed
# With routes it says egress and takes the other CA.
s/'\$label'"/pipelock"/

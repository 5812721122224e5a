# must be caught by: claim in exec/installs-nothing
# and: log/fatal log/fingerprint in exec/installs-nothing
# The CA is held against its own file instead of the bundle.
s/-CAfile '\$bundle'/-CAfile '$ca'/

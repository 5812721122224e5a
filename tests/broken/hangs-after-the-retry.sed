# must be caught by: time in kill/twice
# and: claim log/fatal log/contains in kill/twice
# A second kill is waited out.
/second exec/a [ $status != 137 ] || sleep 1000

# must be caught by: settle in retry/settles*
# The second exec comes at once.
/^    sleep 1$/d

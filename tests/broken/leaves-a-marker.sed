# must be caught by: store/exact/files in install/undisturbed
# shows undisturbed
# A file in the guest says that it is done.
s/^update-ca-certificates &&/& : >\/etc\/ssl\/proxy-installed \&\&/

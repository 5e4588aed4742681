"""Where people work: domains, user profiles, spaces, and the images, repositories and scripts that they start from."""

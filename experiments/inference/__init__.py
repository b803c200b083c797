"""From numbers per arm to what they allow to be said: pure functions of numbers, which read nothing."""

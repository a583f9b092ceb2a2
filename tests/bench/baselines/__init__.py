"""What others write: plain Faust applications that do the same job, to compare with."""

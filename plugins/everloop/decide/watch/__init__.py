"""What is watched of a release that serves: drift, estimated and labelled performance, and when to train again."""

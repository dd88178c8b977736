"""bulkseed provisions secrets in bulk into Alibaba Cloud KMS Secrets Manager."""

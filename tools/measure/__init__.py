"""What every benchmark measures with: results in one form, load over HTTP and gRPC, and the raw limits beside them."""

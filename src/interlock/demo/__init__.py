"""The guided tour: a real tool API (moto's AWS server), a real SDK (boto3), a real Interlock."""

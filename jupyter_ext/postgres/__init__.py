"""PostgreSQL: the cluster, its databases, who may use them."""

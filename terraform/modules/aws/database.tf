resource "aws_db_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.private_subnet_ids
}

resource "aws_db_parameter_group" "this" {
  name_prefix = "${var.name}-"
  family      = "postgres${var.database.version}"
  description = "What `posthaste doctor` asks of a server, TLS only, and what is worth a line in the log."

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  parameter {
    name  = "synchronous_commit"
    value = "on"
  }

  parameter {
    name  = "log_statement"
    value = "ddl"
  }

  parameter {
    name  = "log_min_duration_statement"
    value = "1000"
  }

  parameter {
    name  = "log_lock_waits"
    value = "1"
  }

  parameter {
    name  = "log_autovacuum_min_duration"
    value = "10000"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_instance" "this" {
  #checkov:skip=CKV_AWS_161:Roles log in with passwords out of Secrets Manager; tokens of IAM end after 15 minutes, and dispatchers keep connections and make new ones.
  #checkov:skip=CKV_AWS_133:Backed up for database.backup_days, at least 1 (a validation of the variable); checkov does not read defaults of optional attributes.
  identifier     = var.name
  engine         = "postgres"
  engine_version = var.database.version
  instance_class = var.database.instance_class
  db_name        = "posthaste"

  # RDS makes the owner's password, keeps it in Secrets Manager and rotates it: only the migration reads it.
  username                      = "posthaste_owner"
  manage_master_user_password   = true
  master_user_secret_kms_key_id = aws_kms_key.this.arn

  storage_type          = "gp3"
  allocated_storage     = var.database.storage_gb
  max_allocated_storage = var.database.storage_gb * 10
  storage_encrypted     = true
  kms_key_id            = aws_kms_key.this.arn

  multi_az               = true
  publicly_accessible    = false
  port                   = local.database_port
  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [aws_security_group.room["database"].id]
  parameter_group_name   = aws_db_parameter_group.this.name

  backup_retention_period    = var.database.backup_days
  copy_tags_to_snapshot      = true
  deletion_protection        = var.deletion_protection
  skip_final_snapshot        = !var.deletion_protection
  final_snapshot_identifier  = "${var.name}-final"
  auto_minor_version_upgrade = true

  performance_insights_enabled    = true
  performance_insights_kms_key_id = aws_kms_key.this.arn
  monitoring_interval             = 60
  monitoring_role_arn             = aws_iam_role.database_monitoring.arn
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]
}

resource "aws_db_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.private_subnet_ids
}

resource "aws_db_parameter_group" "this" {
  name_prefix = "${var.name}-"
  family      = "postgres${var.database.version}"
  description = "What `posthaste doctor` asks of a server, TLS only, and what is worth a line in the log."

  dynamic "parameter" {
    for_each = {
      "rds.force_ssl"             = "1"
      synchronous_commit          = "on"
      log_statement               = "ddl"
      log_min_duration_statement  = "1000"
      log_lock_waits              = "1"
      log_autovacuum_min_duration = "10000"
    }
    content {
      name  = parameter.key
      value = parameter.value
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_instance" "this" {
  #checkov:skip=CKV_AWS_161:Roles log in with passwords out of Secrets Manager; tokens of IAM end after 15 minutes, and dispatchers keep connections and make new ones.
  #checkov:skip=CKV_AWS_293:Protected unless the variable deletion_protection says otherwise, which its default does not.
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

# `metrics` is where the collector writes the queue lag, from which CloudWatch makes a metric.
resource "aws_cloudwatch_log_group" "this" {
  for_each = toset(["gateway", "dispatcher", "api", "migrate", "metrics"])

  name              = "/${var.name}/${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.this.arn
}

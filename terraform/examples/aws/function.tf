# function.zip is greeter.py and what it needs: docs/how-to/deploy-aws.md tells how it is made.
resource "aws_lambda_function" "greeter" {
  #checkov:skip=CKV_AWS_116:A dead-letter queue is for invocations without an answer; Posthaste waits for the answer, tries again and keeps the dead letters.
  #checkov:skip=CKV_AWS_117:The function needs nothing in the VPC; a function in it would need a NAT gateway to call back.
  #checkov:skip=CKV_AWS_272:Code signing needs a signing profile of the account; this is a sample.
  function_name = "greeter"
  role          = aws_iam_role.greeter.arn
  runtime       = "python3.13"
  handler       = "greeter.handler"
  filename      = "${path.module}/function.zip"
  kms_key_arn   = module.posthaste.kms_key_arn
  timeout       = 30
  # Posthaste sends no more than the endpoint's concurrency; this holds whoever else may call.
  reserved_concurrent_executions = 16

  tracing_config {
    mode = "Active"
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.greeter.name
  }

  # The signing secret is set by hand, so that it is not in the state.
  environment {
    variables = {}
  }

  lifecycle {
    ignore_changes = [environment]
  }
}

resource "aws_cloudwatch_log_group" "greeter" {
  # The module's key serves log groups below its name.
  name              = "/posthaste/greeter"
  retention_in_days = 365
  kms_key_id        = module.posthaste.kms_key_arn
}

resource "aws_iam_role" "greeter" {
  name = "greeter"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "greeter" {
  #checkov:skip=CKV_AWS_355:X-Ray's two actions have no resource to name.
  name = "log-and-trace"
  role = aws_iam_role.greeter.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.greeter.arn}:*"
      },
      {
        Effect   = "Allow"
        Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
        Resource = "*"
      },
      {
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = module.posthaste.kms_key_arn
      },
    ]
  })
}

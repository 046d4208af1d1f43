# The API counts, for each queue, how long the first job has waited: posthaste_queue_lag_seconds. The collector beside it
# carries that to CloudWatch each 15 s, and two alarms on the worst queue add dispatchers and take them away.

locals {
  metric_namespace = "Posthaste/${var.name}"
  metric_name      = "posthaste_queue_lag_seconds"

  collector_config = {
    receivers = {
      prometheus = {
        config = {
          scrape_configs = [{
            job_name        = "posthaste"
            scrape_interval = "15s"
            static_configs  = [{ targets = ["127.0.0.1:${local.api_port}"], labels = { service = var.name } }]
            metric_relabel_configs = [
              { source_labels = ["__name__"], regex = local.metric_name, action = "keep" },
            ]
          }]
        }
      }
    }
    exporters = {
      awsemf = {
        namespace               = local.metric_namespace
        region                  = local.region
        log_group_name          = aws_cloudwatch_log_group.this["metrics"].name
        log_stream_name         = "api"
        dimension_rollup_option = "NoDimensionRollup"
        metric_declarations = [{
          # One metric a queue to look at, and one of all queues to scale by.
          dimensions            = [["service"], ["service", "queue"]]
          metric_name_selectors = ["^${local.metric_name}$"]
        }]
      }
    }
    service = {
      pipelines = {
        metrics = { receivers = ["prometheus"], exporters = ["awsemf"] }
      }
    }
  }

  # An empty queue has no lag, and then there is no metric: for both alarms that is a lag of nothing.
  alarms = {
    lags     = { comparison = "GreaterThanThreshold", threshold = var.dispatchers.lag_seconds, minutes = 2, missing = "notBreaching" }
    keeps_up = { comparison = "LessThanThreshold", threshold = var.dispatchers.lag_seconds / 10, minutes = 15, missing = "breaching" }
  }
}

resource "aws_appautoscaling_target" "dispatcher" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.this["dispatcher"].name}"
  min_capacity       = var.dispatchers.min
  max_capacity       = var.dispatchers.max
}

resource "aws_appautoscaling_policy" "more" {
  name               = "${var.name}-more-dispatchers"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.dispatcher.service_namespace
  scalable_dimension = aws_appautoscaling_target.dispatcher.scalable_dimension
  resource_id        = aws_appautoscaling_target.dispatcher.resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    metric_aggregation_type = "Maximum"
    cooldown                = 120

    # Bounds count from lag_seconds: up to four times that one more, and beyond it two.
    step_adjustment {
      metric_interval_lower_bound = 0
      metric_interval_upper_bound = var.dispatchers.lag_seconds * 3
      scaling_adjustment          = 1
    }

    step_adjustment {
      metric_interval_lower_bound = var.dispatchers.lag_seconds * 3
      scaling_adjustment          = 2
    }
  }
}

resource "aws_appautoscaling_policy" "fewer" {
  name               = "${var.name}-fewer-dispatchers"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.dispatcher.service_namespace
  scalable_dimension = aws_appautoscaling_target.dispatcher.scalable_dimension
  resource_id        = aws_appautoscaling_target.dispatcher.resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    metric_aggregation_type = "Maximum"
    cooldown                = 300

    step_adjustment {
      metric_interval_upper_bound = 0
      scaling_adjustment          = -1
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "lag" {
  for_each = local.alarms

  alarm_name          = "${var.name}-queue-${replace(each.key, "_", "-")}"
  alarm_description   = "How long the first job of the worst queue has waited, in seconds. Scales the dispatchers."
  namespace           = local.metric_namespace
  metric_name         = local.metric_name
  dimensions          = { service = var.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = each.value.minutes
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing
  alarm_actions       = [each.key == "lags" ? aws_appautoscaling_policy.more.arn : aws_appautoscaling_policy.fewer.arn]
}

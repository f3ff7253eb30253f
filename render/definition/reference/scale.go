package reference

const autoscaling = `metadata.annotations["autoscaling.knative.dev/`

func annotation(keys ...string) string {
	paths := make([]string, 0, len(keys))
	for _, k := range keys {
		paths = append(paths, autoscaling+k+`"]`)
	}
	return inPod(paths...).Knative
}

func minReplicas() Field {
	return Field{
		Key: "minReplicas", Type: Number, Default: "1",
		Doc:     "The fewest replicas. 0 lets the service sleep until it is called; then it answers on port 80 only.",
		Becomes: by(annotation("min-scale"), "Deployment: spec.replicas; HorizontalPodAutoscaler: spec.minReplicas; ScaledObject: spec.minReplicaCount"),
	}
}

func maxReplicas() Field {
	return Field{
		Key: "maxReplicas", Type: Number, Default: "100", Doc: "The most replicas. 0 stands for the default. A Deployment without triggers has minReplicas, and no more.",
		Becomes: by(annotation("max-scale"), "HorizontalPodAutoscaler: spec.maxReplicas; ScaledObject: spec.maxReplicaCount"),
	}
}

func legacyScale() *Mapping {
	return &Mapping{Name: "scale", Fields: []Field{
		{Key: "replicas", Type: Number, Doc: "The count at the first creation. It has no effect: the autoscaler decides.", Becomes: same("nothing: the autoscaler decides")},
		minReplicas(), maxReplicas(),
		{
			Key: "concurrency", Type: Number, Default: "50", Doc: "How many requests a replica takes, counted as mode says.",
			Becomes: by(annotation("target"), "ScaledObject: spec.triggers[].metadata.threshold"),
		},
		{
			Key: "mode", Type: Text, Values: []string{"per-second", "parallel"}, Default: "per-second",
			Doc:     "Whether requests are counted in a second, or while they are answered.",
			Becomes: by(annotation("metric"), "ScaledObject: spec.triggers[].metadata.query"),
		},
	}}
}

func autoScale() *Mapping {
	return &Mapping{Name: "autoScale", Fields: []Field{
		minReplicas(), maxReplicas(),
		{
			Key: "coolDownInterval", Type: Number,
			Doc: "Seconds for which fewer calls change nothing: before a replica is taken away, and from the last call to 0 (120 where nothing is said).",
			Becomes: Becomes{
				Knative: annotation("scale-down-delay", "scale-to-zero-pod-retention-period"), Direct: annotation("scale-down-delay"),
				Deployment: "HorizontalPodAutoscaler: spec.behavior.scaleDown.stabilizationWindowSeconds; ScaledObject: spec.cooldownPeriod",
			},
		},
		{
			Key: "pollingInterval", Type: Number, Doc: "Seconds between two questions of KEDA's to a trigger. Other autoscalers do not ask.",
			Becomes: by("nothing: only KEDA polls", "ScaledObject: spec.pollingInterval"),
		},
		{
			Key: "triggers", Type: Objects, Of: trigger(),
			Doc:     "What makes more replicas. Where there are several, the one that asks for most counts; on Knative there can be one only.",
			Becomes: by(annotation("metric"), "HorizontalPodAutoscaler: spec.metrics[]; ScaledObject: spec.triggers[]"),
		},
	}}
}

func trigger() *Mapping {
	const keda = "unsupported: asks for the mode deployment"
	return &Mapping{Name: "a trigger", Fields: []Field{
		{
			Key: "name", Type: Text, Doc: "A name, by which KEDA tells triggers apart.",
			Becomes: by("nothing: there is one trigger", "ScaledObject: spec.triggers[].name"),
		},
		{
			Key: "type", Type: Text, Required: true,
			Doc:     "requests-per-second, active-requests, cpu or memory; or any type that KEDA knows, as kafka, which is handed on as it is written.",
			Becomes: by(annotation("metric"), "HorizontalPodAutoscaler: spec.metrics[].resource.name; ScaledObject: spec.triggers[].type"),
		},
		{
			Key: "metadata", Type: TextMap,
			Doc:     "What the type needs. requests-per-second and active-requests: target, how many a replica takes. cpu and memory: type, Utilization (percent of the request) or AverageValue, and value. Others: what KEDA's documentation says.",
			Becomes: by(annotation("target"), "HorizontalPodAutoscaler: spec.metrics[].resource.target; ScaledObject: spec.triggers[].metadata"),
		},
		{
			Key: "authRef", Type: Object, Doc: "Where the secret ones of KEDA's parameters are.",
			Becomes: by(keda, "ScaledObject: spec.triggers[].authenticationRef.name; TriggerAuthentication: metadata.name"),
			Of: &Mapping{Name: "authRef", Fields: []Field{{
				Key: "secretMapping", Type: Objects, Doc: "Parameters, and the keys of secrets that hold their values.",
				Becomes: by(keda, "TriggerAuthentication: spec.secretTargetRef[]"),
				Of: &Mapping{Name: "an entry of secretMapping", Fields: []Field{
					{Key: "param", Type: Text, Required: true, Doc: "The parameter of the trigger.", Becomes: by(keda, "TriggerAuthentication: spec.secretTargetRef[].parameter")},
					{
						Key: "key", Type: Text, Required: true, Doc: "Where its value is: <id of a secret>.<key in it>; secrets. may stand before it.",
						Becomes: by(keda, "TriggerAuthentication: spec.secretTargetRef[].name; TriggerAuthentication: spec.secretTargetRef[].key"),
					},
				}},
			}}},
		},
	}}
}

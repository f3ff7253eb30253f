package pod

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline/render/definition"
)

// affinity is where the pods of a version want to run; nil where they do not
// mind. What is required of nodes must all be true of one node.
func affinity(v *definition.Version) *corev1.Affinity {
	if len(v.Affinity) == 0 {
		return nil
	}
	out := &corev1.Affinity{}
	for _, a := range v.Affinity {
		switch {
		case a.Node:
			addNode(out, a)
		case a.Away:
			if out.PodAntiAffinity == nil {
				out.PodAntiAffinity = &corev1.PodAntiAffinity{}
			}
			t := out.PodAntiAffinity
			addPods(a, &t.RequiredDuringSchedulingIgnoredDuringExecution, &t.PreferredDuringSchedulingIgnoredDuringExecution)
		default:
			if out.PodAffinity == nil {
				out.PodAffinity = &corev1.PodAffinity{}
			}
			t := out.PodAffinity
			addPods(a, &t.RequiredDuringSchedulingIgnoredDuringExecution, &t.PreferredDuringSchedulingIgnoredDuringExecution)
		}
	}
	return out
}

func addNode(out *corev1.Affinity, a definition.Affinity) {
	if out.NodeAffinity == nil {
		out.NodeAffinity = &corev1.NodeAffinity{}
	}
	n := out.NodeAffinity
	expressions := make([]corev1.NodeSelectorRequirement, 0, len(a.Terms))
	for _, t := range a.Terms {
		expressions = append(expressions, corev1.NodeSelectorRequirement{
			Key: t.Key, Operator: corev1.NodeSelectorOperator(t.Operator), Values: t.Values,
		})
	}
	if !a.Required {
		n.PreferredDuringSchedulingIgnoredDuringExecution = append(n.PreferredDuringSchedulingIgnoredDuringExecution, corev1.PreferredSchedulingTerm{
			Weight:     int32(a.Weight), //nolint:gosec // 1 to 100
			Preference: corev1.NodeSelectorTerm{MatchExpressions: expressions},
		})
		return
	}
	// Terms of a selector are alternatives: one term holds all that is required.
	required := n.RequiredDuringSchedulingIgnoredDuringExecution
	if required == nil {
		required = &corev1.NodeSelector{NodeSelectorTerms: make([]corev1.NodeSelectorTerm, 1)}
		n.RequiredDuringSchedulingIgnoredDuringExecution = required
	}
	term := &required.NodeSelectorTerms[0]
	term.MatchExpressions = append(term.MatchExpressions, expressions...)
}

func addPods(a definition.Affinity, required *[]corev1.PodAffinityTerm, preferred *[]corev1.WeightedPodAffinityTerm) {
	term := corev1.PodAffinityTerm{LabelSelector: &metav1.LabelSelector{}, TopologyKey: a.Topology, Namespaces: a.Projects}
	for _, t := range a.Terms {
		term.LabelSelector.MatchExpressions = append(term.LabelSelector.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: t.Key, Operator: metav1.LabelSelectorOperator(t.Operator), Values: t.Values,
		})
	}
	if a.Required {
		*required = append(*required, term)
		return
	}
	*preferred = append(*preferred, corev1.WeightedPodAffinityTerm{Weight: int32(a.Weight), PodAffinityTerm: term}) //nolint:gosec // 1 to 100
}

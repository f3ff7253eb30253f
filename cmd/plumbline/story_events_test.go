package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/plumbline-dev/plumbline"
)

// events are those that Plumbline wrote, a line each, sorted.
func (st *story) events() []string {
	core, err := corev1client.NewForConfig(st.stage.cluster.Config())
	st.ts.Check(err)
	var out []string
	for _, ns := range []string{st.namespace, st.project} {
		list, err := core.Events(ns).List(st.t.Context(), metav1.ListOptions{})
		st.ts.Check(err)
		for _, e := range list.Items {
			if e.Source.Component == plumbline.FieldManager {
				out = append(out, st.ours(eventLine(e)))
			}
		}
	}
	slices.Sort(out)
	return out
}

func eventLine(e corev1.Event) string {
	return fmt.Sprintf("%s %s %s %s/%s: %s", e.Type, e.Reason, e.InvolvedObject.Kind, e.InvolvedObject.Namespace, e.InvolvedObject.Name, e.Message)
}

func (st *story) showEvents([]string) { st.say(strings.Join(st.events(), "\n")) }

// waitEvent waits for an Event, which is written beside the loop.
func (st *story) waitEvent(args []string) {
	want := regexp.MustCompile(args[0])
	st.await("an Event "+args[0], func() (bool, string) {
		all := st.events()
		return slices.ContainsFunc(all, want.MatchString), strings.Join(all, "\n")
	})
}

package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/plumbline-dev/plumbline"
)

// Order is what a person asks of the loop of an environment, out of its turn:
// to fetch, and to bring the cluster to the head of the branch, now.
type Order struct {
	ID string    `json:"id"` // random
	At time.Time `json:"at"`
}

// Answer is what came of an Order.
type Answer struct {
	Order  string                `json:"order"` // its ID
	Commit string                `json:"commit,omitempty"`
	State  plumbline.StatusState `json:"state"` // of the sync status
	Text   string                `json:"text"`  // its description
	Exit   int                   `json:"exit"`  // code that says the same
	At     time.Time             `json:"at"`
}

// Keys of the ConfigMap of orders.
const (
	keyOrder  = "order"
	keyAnswer = "answer"
)

// Orders is the ConfigMap by which people and the loop of an environment talk.
// There is one order at a time: a newer one takes the place of one that has no
// answer yet, and its answer is good for both.
type Orders struct {
	client      corev1client.ConfigMapInterface
	environment string
}

// NewOrders makes Orders on the ConfigMaps of Plumbline's namespace; it sends
// nothing.
func NewOrders(client corev1client.ConfigMapInterface, environment string) *Orders {
	return &Orders{client: client, environment: environment}
}

// OrdersName is the ConfigMap of an environment's orders.
func OrdersName(environment string) string { return "plumbline-orders-" + environment }

// askTries is how often Ask goes on after somebody else wrote between its two
// requests.
const askTries = 5

// Ask gives an order.
func (o *Orders) Ask(ctx context.Context, order Order) error {
	var err error
	for range askTries {
		if err = o.ask(ctx, order); !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) && !apierrors.IsNotFound(err) {
			break
		}
	}
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return &plumbline.Error{Op: "give order", Kind: plumbline.KindDenied, Err: err}
	case apierrors.IsNotFound(err):
		return &plumbline.Error{Op: "give order", Kind: plumbline.KindDenied, Err: fmt.Errorf("%w: Plumbline never ran on this cluster", err)}
	}
	return &plumbline.Error{Op: "give order", Kind: plumbline.KindTransient, Err: err}
}

func (o *Orders) ask(ctx context.Context, order Order) error {
	text, err := json.Marshal(order)
	if err != nil {
		return err
	}
	cm, err := o.client.Get(ctx, OrdersName(o.environment), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = o.client.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Name:   OrdersName(o.environment),
				Labels: map[string]string{plumbline.LabelManagedBy: plumbline.ManagedBy},
			},
			Data: map[string]string{keyOrder: string(text)},
		}, metav1.CreateOptions{FieldManager: plumbline.FieldManager})
		return err
	}
	if err != nil {
		return err
	}
	if cm.Data == nil {
		cm.Data = map[string]string{}
	}
	cm.Data[keyOrder] = string(text)
	_, err = o.client.Update(ctx, cm, metav1.UpdateOptions{FieldManager: plumbline.FieldManager})
	return err
}

// Wait returns the answer to the order that was given last.
func (o *Orders) Wait(ctx context.Context) (Answer, error) {
	var answer Answer
	err := o.each(ctx, func(cm *corev1.ConfigMap) error {
		order, a, err := decodeOrders(cm)
		if err != nil {
			return err
		}
		if a.Order == order.ID {
			answer = a
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return answer, nil
	}
	return Answer{}, err
}

// Pending is an order that has no answer yet.
type Pending struct {
	Order Order
	cm    *corev1.ConfigMap
}

// Next waits for an order that has no answer yet, other than the one with the
// id after.
func (o *Orders) Next(ctx context.Context, after string) (Pending, error) {
	var pending Pending
	err := o.each(ctx, func(cm *corev1.ConfigMap) error {
		order, answer, err := decodeOrders(cm)
		if err != nil || order.ID == "" || order.ID == answer.Order || order.ID == after {
			return nil //nolint:nilerr // what nobody can read, nobody ordered; who asked waits in vain and is told so
		}
		pending = Pending{Order: order, cm: cm}
		return errEnough
	})
	if errors.Is(err, errEnough) {
		return pending, nil
	}
	return Pending{}, err
}

// Answer writes what came of an order. If a newer one has taken its place, that
// one will be answered.
func (o *Orders) Answer(ctx context.Context, p Pending, a Answer) error {
	a.Order = p.Order.ID
	text, err := json.Marshal(a)
	if err != nil {
		return &plumbline.Error{Op: "answer order", Kind: plumbline.KindInternal, Err: err}
	}
	cm := p.cm.DeepCopy()
	cm.Data[keyAnswer] = string(text)
	_, err = o.client.Update(ctx, cm, metav1.UpdateOptions{FieldManager: plumbline.FieldManager})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return &plumbline.Error{Op: "answer order", Kind: plumbline.KindTransient, Err: err}
	}
	return nil
}

// errEnough ends each.
var errEnough = errors.New("enough")

// each calls see with the ConfigMap as it is, not older than any answered
// request, and after every change, in one watch of this one name, until see
// returns an error or the watch ends, which is one too.
func (o *Orders) each(ctx context.Context, see func(*corev1.ConfigMap) error) error {
	w, err := o.client.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + OrdersName(o.environment)})
	if err != nil {
		return err
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case event, open := <-w.ResultChan():
			switch {
			case !open:
				return errWatchEnded
			case event.Type == watch.Error:
				return apierrors.FromObject(event.Object)
			case event.Type == watch.Deleted:
				continue
			}
			cm, ok := event.Object.(*corev1.ConfigMap)
			if !ok {
				return fmt.Errorf("watch of orders: %T", event.Object)
			}
			if err := see(cm); err != nil {
				return err
			}
		}
	}
}

// errWatchEnded is how every watch ends after some time.
var errWatchEnded = errors.New("the watch ended")

// WatchEnded tells whether err only says that the API server closed a watch,
// as it does with each after some time.
func WatchEnded(err error) bool { return errors.Is(err, errWatchEnded) }

func decodeOrders(cm *corev1.ConfigMap) (order Order, answer Answer, err error) {
	if text := cm.Data[keyOrder]; text != "" {
		if err := json.Unmarshal([]byte(text), &order); err != nil {
			return Order{}, Answer{}, fmt.Errorf("ConfigMap %s: %s: %w", cm.Name, keyOrder, err)
		}
	}
	if text := cm.Data[keyAnswer]; text != "" {
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			return Order{}, Answer{}, fmt.Errorf("ConfigMap %s: %s: %w", cm.Name, keyAnswer, err)
		}
	}
	return order, answer, nil
}

package demo

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/matomo-scim/bridge/internal/app"
)

// The scenes. Bodies, words and order are those that the two providers send: Entra
// looks people up, creates groups empty, writes operations in capitals, removes
// members with a value array and sends the word "False"; Okta puts whole users and
// groups and never deletes anybody.
//
// Each scene sends its requests, waits until the bridge has verified what follows
// from them, and tells what happened.

// The people of the script.
const (
	ada = "ada@contoso.com"
	kim = "kim@atko.com"
)

const (
	userSchema       = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupSchema      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	enterpriseSchema = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

// cast is what the script remembers between its scenes.
type cast struct {
	ada, kim          string // SCIM ids
	analysts, editors string
	admins            string
	adaToken          string
	kimToken          string
}

// play runs the scenes in order.
func (s *stage) play(ctx context.Context) error {
	s.prologue()
	var c cast
	for _, scene := range []func(context.Context, *cast) error{
		s.entraJoiner, s.entraMover, s.entraLeaver, s.entraRehire, s.oktaJoiner, s.oktaMover, s.oktaLeaver, s.epilogue,
	} {
		if err := scene(ctx, &c); err != nil {
			return err
		}
	}
	return s.Err()
}

// entraJoiner: look-up, create, empty group, members; as Entra sends them.
func (s *stage) entraJoiner(ctx context.Context, c *cast) error {
	s.scene("Joiner", "Entra creates Ada and puts her into the group Analysts")
	filter := "/Users?filter=" + url.QueryEscape(`userName eq "`+ada+`"`)
	if _, err := s.entra.do(ctx, "is she there?", http.MethodGet, filter, nil, http.StatusOK); err != nil {
		return err
	}
	var err error
	c.ada, err = s.entra.Create(ctx, "create Ada", "/Users", map[string]any{
		"schemas": []string{userSchema, enterpriseSchema}, "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
		"userName": ada, "active": true, "displayName": "Ada Lovelace",
		"emails": []any{map[string]any{"primary": true, "type": "work", "value": ada}},
		"name":   map[string]any{"givenName": "Ada", "familyName": "Lovelace"}, "roles": []any{},
		enterpriseSchema: map[string]any{"department": "Engineering"},
	})
	if err != nil {
		return err
	}
	if c.analysts, err = s.entra.Create(ctx, "create the group", "/Groups", entraGroup("Analysts")); err != nil {
		return err
	}
	if c.editors, err = s.entra.Create(ctx, "create another", "/Groups", entraGroup("Editors")); err != nil {
		return err
	}
	if err := s.entra.patch(ctx, "Ada joins Analysts", "/Groups/"+c.analysts, entraMembers("Add", c.ada)); err != nil {
		return err
	}
	if err := s.settled(ctx, s.entra, ada, app.Converged); err != nil {
		return err
	}
	c.adaToken, err = s.mint(ada)
	return err
}

// entraMover: out of one group, into another, within the settling time: one
// move.
func (s *stage) entraMover(ctx context.Context, c *cast) error {
	s.scene("Mover", "Ada moves from Analysts to Editors; she is never without what both give")
	if err := s.entra.patch(ctx, "Ada leaves Analysts", "/Groups/"+c.analysts, entraMembers("Remove", c.ada)); err != nil {
		return err
	}
	if err := s.entra.patch(ctx, "Ada joins Editors", "/Groups/"+c.editors, entraMembers("Add", c.ada)); err != nil {
		return err
	}
	if err := s.settled(ctx, s.entra, ada, app.Converged); err != nil {
		return err
	}
	s.tokenProof(ada, c.adaToken)
	var err error
	c.adaToken, err = s.mint(ada)
	return err
}

// entraLeaver: Entra sends the word "False".
func (s *stage) entraLeaver(ctx context.Context, c *cast) error {
	s.scene("Leaver", `Entra blocks Ada: active becomes the word "False"`)
	err := s.entra.patch(ctx, "Ada leaves", "/Users/"+c.ada, map[string]any{"op": "Replace", "path": "active", "value": "False"})
	if err != nil {
		return err
	}
	if err := s.settled(ctx, s.entra, ada, app.Done); err != nil {
		return err
	}
	s.tokenProof(ada, c.adaToken)
	return nil
}

// entraRehire: active again and nothing else; memberships have survived.
func (s *stage) entraRehire(ctx context.Context, c *cast) error {
	s.scene("Come-back", "Ada is hired again: access returns, her old token does not")
	err := s.entra.patch(ctx, "Ada is back", "/Users/"+c.ada, map[string]any{"op": "Replace", "path": "active", "value": "True"})
	if err != nil {
		return err
	}
	if err := s.settled(ctx, s.entra, ada, app.Converged); err != nil {
		return err
	}
	s.tokenProof(ada, c.adaToken)
	return nil
}

// oktaJoiner: a superuser, which only groups of this source may make.
func (s *stage) oktaJoiner(ctx context.Context, c *cast) error {
	s.scene("Joiner", "Okta creates Kim and pushes the group Matomo Admins")
	var err error
	if c.kim, err = s.okta.Create(ctx, "create Kim", "/Users", oktaUser(true)); err != nil {
		return err
	}
	c.admins, err = s.okta.Create(ctx, "push the group", "/Groups", map[string]any{
		"schemas": []string{groupSchema}, "displayName": "Matomo Admins",
		"members": []any{map[string]any{"value": c.kim, "display": kim}},
	})
	if err != nil {
		return err
	}
	if err := s.settled(ctx, s.okta, kim, app.Converged); err != nil {
		return err
	}
	c.kimToken, err = s.mint(kim)
	return err
}

// oktaMover: the group is pushed without Kim, and another one with her.
func (s *stage) oktaMover(ctx context.Context, c *cast) error {
	s.scene("Mover", "Kim stops being a superuser and views site 4 instead")
	_, err := s.okta.Create(ctx, "push the new group", "/Groups", map[string]any{
		"schemas": []string{groupSchema}, "displayName": "Site 4 Viewers",
		"members": []any{map[string]any{"value": c.kim, "display": kim}},
	})
	if err != nil {
		return err
	}
	_, err = s.okta.do(ctx, "push the old one, empty", http.MethodPut, "/Groups/"+c.admins, map[string]any{
		"schemas": []string{groupSchema}, "id": c.admins, "displayName": "Matomo Admins", "members": []any{},
	}, http.StatusOK)
	if err != nil {
		return err
	}
	if err := s.settled(ctx, s.okta, kim, app.Converged); err != nil {
		return err
	}
	s.tokenProof(kim, c.kimToken)
	c.kimToken, err = s.mint(kim)
	return err
}

// oktaLeaver: Okta never deletes; it puts active:false.
func (s *stage) oktaLeaver(ctx context.Context, c *cast) error {
	s.scene("Leaver", "Okta deactivates Kim with a PUT")
	body := oktaUser(false)
	body["id"] = c.kim
	if _, err := s.okta.do(ctx, "Kim leaves", http.MethodPut, "/Users/"+c.kim, body, http.StatusOK); err != nil {
		return err
	}
	if err := s.settled(ctx, s.okta, kim, app.Done); err != nil {
		return err
	}
	s.tokenProof(kim, c.kimToken)
	if s.server.TokenAlive(c.kimToken) {
		return fmt.Errorf("the leaver's token is still alive")
	}
	return nil
}

// entraGroup is a group as Entra creates it: empty.
func entraGroup(name string) map[string]any {
	return map[string]any{
		"schemas":    []string{groupSchema, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"},
		"externalId": "8aa1a0c0-" + name, "displayName": name, "meta": map[string]any{"resourceType": "Group"},
	}
}

// entraMembers is a membership operation as Entra sends it: a value array, also
// to remove.
func entraMembers(op, id string) map[string]any {
	return map[string]any{"op": op, "path": "members", "value": []any{map[string]any{"$ref": nil, "value": id}}}
}

// oktaUser is a whole user as Okta sends it.
func oktaUser(active bool) map[string]any {
	return map[string]any{
		"schemas": []string{userSchema}, "userName": kim, "name": map[string]any{"givenName": "Kim", "familyName": "Test"},
		"emails":      []any{map[string]any{"primary": true, "value": kim, "type": "work"}},
		"displayName": "Kim Test", "locale": "en-US", "externalId": "00ukim0example", "groups": []any{}, "active": active,
	}
}

package matomotest

// bulkMethod is the one method that runs others.
const bulkMethod = "API.getBulkRequest"

// methodTable lists what is modelled, with the parameters that have no default
// in Matomo's signature, and the plugins that are active.
func (s *Server) methodTable() (methods map[string]method, modules map[string]bool) {
	methods = map[string]method{
		bulkMethod:              {[]string{"urls"}, (*call).bulkRequest},
		"API.getMatomoVersion":  {nil, (*call).matomoVersion},
		"API.getPiwikVersion":   {nil, (*call).matomoVersion},
		"API.getPhpVersion":     {nil, (*call).phpVersion},
		"API.isPluginActivated": {[]string{"pluginName"}, (*call).isPluginActivated},

		"UsersManager.userExists":                    {[]string{"userLogin"}, (*call).userExists},
		"UsersManager.userEmailExists":               {[]string{"userEmail"}, (*call).userEmailExists},
		"UsersManager.getUser":                       {[]string{"userLogin"}, (*call).getUser},
		"UsersManager.getUserByEmail":                {[]string{"userEmail"}, (*call).getUserByEmail},
		"UsersManager.getUserLoginFromUserEmail":     {[]string{"userEmail"}, (*call).getUserLoginFromUserEmail},
		"UsersManager.getUsers":                      {nil, (*call).getUsers},
		"UsersManager.getUsersLogin":                 {nil, (*call).getUsersLogin},
		"UsersManager.getUsersPlusRole":              {[]string{"idSite"}, (*call).getUsersPlusRole},
		"UsersManager.getUsersHavingSuperUserAccess": {nil, (*call).getUsersHavingSuperUserAccess},
		"UsersManager.hasSuperUserAccess":            {nil, (*call).hasSuperUserAccess},
		"UsersManager.addUser":                       {[]string{"userLogin", "password", "email"}, (*call).addUser},
		"UsersManager.updateUser":                    {[]string{"userLogin"}, (*call).updateUser},
		"UsersManager.deleteUser":                    {[]string{"userLogin"}, (*call).deleteUser},
		"UsersManager.setSuperUserAccess":            {[]string{"userLogin", "hasSuperUserAccess"}, (*call).setSuperUserAccess},
		"UsersManager.inviteUser":                    {[]string{"userLogin", "email"}, (*call).inviteUser},
		"UsersManager.resendInvite":                  {[]string{"userLogin"}, (*call).resendInvite},
		"UsersManager.generateInviteLink":            {[]string{"userLogin"}, (*call).generateInviteLink},
		"UsersManager.setUserPreference":             {[]string{"userLogin", "preferenceName", "preferenceValue"}, (*call).setUserPreference},
		"UsersManager.getUserPreference":             {[]string{"preferenceName"}, (*call).getUserPreference},
		"UsersManager.createAppSpecificTokenAuth":    {[]string{"userLogin", "passwordConfirmation", "description"}, (*call).createAppSpecificTokenAuth},

		"UsersManager.setUserAccess":            {[]string{"userLogin", "access", "idSites"}, (*call).setUserAccess},
		"UsersManager.addCapabilities":          {[]string{"userLogin", "capabilities", "idSites"}, (*call).addCapabilities},
		"UsersManager.removeCapabilities":       {[]string{"userLogin", "capabilities", "idSites"}, (*call).removeCapabilities},
		"UsersManager.getSitesAccessFromUser":   {[]string{"userLogin"}, (*call).getSitesAccessFromUser},
		"UsersManager.getSitesAccessForUser":    {[]string{"userLogin"}, (*call).getSitesAccessForUser},
		"UsersManager.getUsersSitesFromAccess":  {[]string{"access"}, (*call).getUsersSitesFromAccess},
		"UsersManager.getUsersAccessFromSite":   {[]string{"idSite"}, (*call).getUsersAccessFromSite},
		"UsersManager.getUsersWithSiteAccess":   {[]string{"idSite", "access"}, (*call).getUsersWithSiteAccess},
		"UsersManager.getAvailableRoles":        {nil, (*call).getAvailableRoles},
		"UsersManager.getAvailableCapabilities": {nil, (*call).getAvailableCapabilities},

		"SitesManager.getAllSites":                     {nil, (*call).getAllSites},
		"SitesManager.getAllSitesId":                   {nil, (*call).getAllSitesID},
		"SitesManager.getSitesIdWithAdminAccess":       {nil, (*call).getSitesIDWithAdminAccess},
		"SitesManager.getSitesIdWithAtLeastViewAccess": {nil, (*call).getSitesIDWithAtLeastViewAccess},
		"SitesManager.getSitesWithAdminAccess":         {nil, (*call).getSitesWithAdminAccess},
		"SitesManager.getSitesWithAtLeastViewAccess":   {nil, (*call).getSitesWithAtLeastViewAccess},
		"SitesManager.getSitesGroups":                  {nil, (*call).getSitesGroups},
		"SitesManager.getSitesFromGroup":               {nil, (*call).getSitesFromGroup},
		"SitesManager.getPatternMatchSites":            {[]string{"pattern"}, (*call).getPatternMatchSites},
		"SitesManager.getSiteFromId":                   {[]string{"idSite"}, (*call).getSiteFromID},
		"SitesManager.addSite":                         {[]string{"siteName"}, (*call).addSite},
		"SitesManager.deleteSite":                      {[]string{"idSite"}, (*call).deleteSite},

		"ScheduledReports.addReport":          {[]string{"idSite", "description", "period", "hour", "reportType", "reportFormat", "reports", "parameters"}, (*call).addReport},
		"ScheduledReports.updateReport":       {[]string{"idReport", "idSite", "description", "period", "hour", "reportType", "reportFormat", "reports", "parameters"}, (*call).updateReport},
		"ScheduledReports.deleteReport":       {[]string{"idReport"}, (*call).deleteReport},
		"ScheduledReports.getReports":         {nil, (*call).getReports},
		"Dashboard.getDashboards":             {nil, (*call).getDashboards},
		"Dashboard.createNewDashboardForUser": {[]string{"login"}, (*call).createNewDashboardForUser},
		"SegmentEditor.add":                   {[]string{"name", "definition"}, (*call).addSegment},
		"SegmentEditor.getAll":                {nil, (*call).getSegments},
		"Annotations.add":                     {[]string{"idSite", "date", "note"}, (*call).addAnnotation},
		"Annotations.getAll":                  {[]string{"idSite"}, (*call).getAnnotations},
		"LanguagesManager.getLanguageForUser": {[]string{"login"}, (*call).getLanguageForUser},
		"LanguagesManager.setLanguageForUser": {[]string{"login", "languageCode"}, (*call).setLanguageForUser},
		"Goals.addGoal":                       {[]string{"idSite", "name", "matchAttribute", "pattern", "patternType"}, (*call).addGoal},
		"TwoFactorAuth.resetTwoFactorAuth":    {s.resetTwoFactorNeeds(), (*call).resetTwoFactorAuth},
		companion + ".getVersion":             {nil, (*call).pluginVersion},
		companion + ".getTokens":              {[]string{"userLogin"}, (*call).pluginTokens},
		companion + ".revokeTokens":           {[]string{"userLogin"}, (*call).pluginRevokeTokens},
		companion + ".logoutUser":             {[]string{"userLogin"}, (*call).pluginLogoutUser},
		tokenRevokerPlugin + ".revokeTokens":  {[]string{"userLogin"}, (*call).pluginRevokeTokens},
		tokenRevokerPlugin + ".countTokens":   {[]string{"userLogin"}, (*call).pluginCountTokens},
	}
	modules = map[string]bool{
		"API": true, "UsersManager": true, "SitesManager": true, "ScheduledReports": true, "Dashboard": true, "SegmentEditor": true,
		"Annotations": true, "LanguagesManager": true, "Goals": true, "TwoFactorAuth": true, "TagManager": !s.opt.NoTagManager,
		companion: s.opt.Plugin, tokenRevokerPlugin: s.opt.TokenRevoker,
	}
	return methods, modules
}

// resetTwoFactorNeeds: Matomo 4 asks for the password as for any parameter
// without a default, Matomo 5 with the text of a confirmation.
func (s *Server) resetTwoFactorNeeds() []string {
	if s.v5 {
		return []string{"userLogin"}
	}
	return []string{"userLogin", "passwordConfirmation"}
}

<?php

namespace Piwik\Plugins\ScimBridge\tests;

/**
 * The Matomo that a test runs in, as the plugin meets it: accounts, tokens, who
 * is calling, and the tracker's cache.
 */
abstract class World
{
    /**
     * @var World
     */
    public static $current;

    /** Adds an account. */
    abstract public function addUser(string $login): void;

    /**
     * Adds an app token and returns its id. The secret is in the table as a hash.
     *
     * @param string|null $expires date and time, UTC
     */
    abstract public function addToken(string $login, string $secret, string $description, ?string $expires = null, bool $system = false): int;

    /** Says whether the calls that follow come from a superuser. */
    abstract public function actAsSuperuser(bool $superuser): void;

    /**
     * Returns the ids of an account's tokens, expired ones too.
     *
     * @return int[]
     */
    abstract public function tokenIds(string $login): array;

    /** Returns what the token table keeps in place of a secret. */
    abstract public function hashOf(int $idTokenAuth): string;

    /** Returns the moment, as a Unix time, before which sessions are not valid. */
    abstract public function sessionsValidSince(string $login): int;

    /** Puts something into the tracker's cache. */
    abstract public function fillTrackerCache(): void;

    /** Says whether it is still there. */
    abstract public function isTrackerCacheFilled(): bool;

    /** Removes the accounts that were added. */
    abstract public function clean(): void;
}

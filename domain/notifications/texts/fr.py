"""French."""

from domain.notifications.texts import Text

TEXTS = {
    "welcome": Text(
        "Bienvenue chez {{ shop }}",
        "Bonjour {{ name }},\n\nvotre compte chez {{ shop }} est prêt. Nous sommes heureux de vous accueillir.",
        "Votre compte est prêt, {{ name }}.",
    ),
    "registration_repeated": Text(
        "Vous avez déjà un compte",
        "Bonjour {{ name }},\n\nquelqu'un a voulu s'inscrire chez {{ shop }} avec votre adresse. Si c'était vous : vous avez déjà un compte, "
        "connectez-vous simplement. Sinon, il n'y a rien à faire.",
        "Quelqu'un a voulu s'inscrire avec votre adresse.",
    ),
    "password_changed": Text(
        "Votre mot de passe a été modifié",
        "Bonjour {{ name }},\n\nle mot de passe de votre compte chez {{ shop }} a été modifié. Si ce n'était pas vous, prévenez-nous sans attendre.",
        "Votre mot de passe a été modifié. Si ce n'était pas vous, prévenez-nous sans attendre.",
    ),
    "one_time_code": Text(
        "Votre code pour {{ shop }}",
        "Bonjour {{ name }},\n\nvotre code est {{ code }}. Il est valable {{ minutes }} minutes et une seule fois. "
        "Ne le communiquez à personne, et ignorez ce message si vous n'avez rien demandé.",
        "{{ shop }} : votre code est {{ code }}, valable {{ minutes }} minutes. Ne le communiquez à personne.",
    ),
    "password_reset": Text(
        "Choisir un nouveau mot de passe",
        "Bonjour {{ name }},\n\nquelqu'un a demandé à changer le mot de passe de votre compte chez {{ shop }}. Ce lien le permet, une fois, "
        "pendant {{ minutes }} minutes. Si ce n'était pas vous, il n'y a rien à faire.",
        "Choisissez un nouveau mot de passe pour {{ shop }} dans les {{ minutes }} minutes.",
    ),
    "new_device": Text(
        "Une connexion depuis un nouvel endroit",
        "Bonjour {{ name }},\n\nquelqu'un s'est connecté à votre compte chez {{ shop }} depuis un endroit inconnu. Si c'était vous, il n'y a "
        "rien à faire. Sinon, fermez cette session et changez votre mot de passe aussitôt.",
        "Quelqu'un s'est connecté à votre compte depuis un nouvel endroit. Si ce n'était pas vous, changez votre mot de passe.",
    ),
    "two_factor_enabled": Text(
        "Votre compte demande désormais un second facteur",
        "Bonjour {{ name }},\n\nla connexion à votre compte chez {{ shop }} demande désormais un code de votre application. Gardez les codes "
        "de secours là où vous les trouverez sans votre téléphone. Si ce n'était pas vous, prévenez-nous aussitôt.",
        "La connexion demande désormais un second facteur. Si ce n'était pas vous, prévenez-nous aussitôt.",
    ),
    "two_factor_disabled": Text(
        "Votre compte ne demande plus de second facteur",
        "Bonjour {{ name }},\n\nle second facteur de votre compte chez {{ shop }} a été désactivé. Si ce n'était pas vous, prévenez-nous "
        "aussitôt.",
        "Le second facteur a été désactivé. Si ce n'était pas vous, prévenez-nous aussitôt.",
    ),
    "passkey_added": Text(
        "Une nouvelle clé d'accès",
        "Bonjour {{ name }},\n\nune clé d'accès a été ajoutée à votre compte chez {{ shop }} ; qui possède son appareil peut se connecter. "
        "Si ce n'était pas vous, prévenez-nous aussitôt.",
        "Une clé d'accès a été ajoutée à votre compte. Si ce n'était pas vous, prévenez-nous aussitôt.",
    ),
    "recovery_code_used": Text(
        "Un code de secours a été utilisé",
        "Bonjour {{ name }},\n\nun des codes de secours de votre compte chez {{ shop }} a été utilisé ; il en reste {{ left }}. Si ce n'était "
        "pas vous, prévenez-nous aussitôt.",
        "Un code de secours a été utilisé ; il en reste {{ left }}. Si ce n'était pas vous, prévenez-nous aussitôt.",
    ),
    "data_export_ready": Text(
        "Vos données sont prêtes",
        "Bonjour {{ name }},\n\nla copie de vos données chez {{ shop }} est prête. Connectez-vous pour la retirer avant le {{ until }} ; vous seul le pouvez.",
        "La copie de vos données est prête jusqu’au {{ until }}.",
    ),
    "erasure_requested": Text(
        "Votre compte va être effacé",
        "Bonjour {{ name }},\n\nvotre compte chez {{ shop }} et ce que nous savons de vous seront effacés le {{ due }}. D’ici là, vous pouvez vous connecter "
        "et y renoncer. Si la demande n’est pas de vous, faites-le et prévenez-nous.",
        "Votre compte sera effacé le {{ due }}. D’ici là, vous pouvez y renoncer.",
    ),
    "impersonated": Text(
        "Notre personnel est intervenu dans votre compte",
        "Bonjour {{ name }},\n\nune personne de {{ shop }} a ouvert votre compte pour vous aider. Motif indiqué : {{ reason }}. "
        "Votre journal de connexion en garde la trace. Si vous n’avez rien demandé, prévenez-nous.",
        "Notre personnel a ouvert votre compte. Motif indiqué : {{ reason }}.",
    ),
    "order_confirmation": Text(
        "Votre commande {{ number }}",
        "Bonjour {{ name }},\n\nmerci pour votre commande {{ number }} de {{ total|money }}. Nous vous préviendrons dès son départ.",
        "Merci : nous avons reçu votre commande {{ number }} de {{ total|money }}.",
    ),
    "order_paid": Text(
        "Nous avons reçu votre paiement",
        "Bonjour {{ name }},\n\nvotre paiement de {{ total|money }} est arrivé. Nous préparons votre commande.",
        "Votre paiement de {{ total|money }} est arrivé.",
    ),
    "sale_paid": Text(
        "Vous avez fait une vente",
        "Bonjour {{ name }},\n\nune commande de vos articles est payée et peut être préparée.",
        "Une commande de vos articles est payée et peut être préparée.",
    ),
    "order_shipped": Text(
        "Votre commande {{ number }} est en route",
        "Bonjour {{ name }},\n\nvotre commande {{ number }} est partie."
        "{% if tracking_number %}\n\nVotre numéro de suivi est {{ tracking_number }}.{% endif %}",
        "La commande {{ number }} est partie.{% if tracking_number %} Numéro de suivi : {{ tracking_number }}.{% endif %}",
    ),
    "order_cancelled": Text(
        "Votre commande {{ number }} a été annulée",
        "Bonjour {{ name }},\n\nvotre commande {{ number }} a été annulée. Ce que vous avez payé vous sera rendu.",
        "La commande {{ number }} a été annulée.",
    ),
    "order_refunded": Text(
        "Un remboursement pour votre commande {{ number }}",
        "Bonjour {{ name }},\n\npour votre commande {{ number }}, nous vous avons rendu {{ total|money }}.",
        "{{ total|money }} de la commande {{ number }} vous sont rendus.",
    ),
    "review_invitation": Text(
        "Êtes-vous satisfait ?",
        "Bonjour {{ name }},\n\nvotre commande {{ number }} est arrivée. D'autres aimeraient savoir ce que vous en pensez.",
        "La commande {{ number }} est arrivée : dites aux autres ce que vous en pensez.",
    ),
    "payment_failed": Text(
        "Votre paiement a échoué",
        "Bonjour {{ name }},\n\nvotre paiement n'a pas pu être pris : {{ reason }}. Rien n'a été débité ; veuillez réessayer.",
        "Votre paiement n'a pas pu être pris : {{ reason }}.",
    ),
    "delivery_arriving": Text(
        "Votre livraison arrive",
        "Bonjour {{ name }},\n\nle livreur est sur le point d'arriver.",
        "{{ shop }} : le livreur est sur le point d'arriver.",
    ),
    "delivery_completed": Text(
        "Votre livraison est arrivée",
        "Bonjour {{ name }},\n\nvotre livraison a été remise. Bonne découverte !",
        "Votre livraison a été remise. Bonne découverte !",
    ),
    "delivery_failed": Text(
        "La livraison n'a pas eu lieu",
        "Bonjour {{ name }},\n\nvotre livraison n'a pas pu être remise : {{ reason }}. Veuillez choisir un autre moment.",
        "{{ shop }} : votre livraison n'a pas pu être remise : {{ reason }}. Veuillez choisir un autre moment.",
    ),
    "new_message": Text(
        "Un nouveau message",
        "Bonjour {{ name }},\n\nquelqu'un vous a écrit :\n\n{{ preview }}",
        "{{ preview }}",
    ),
    "review_received": Text(
        "Un avis sur {{ product }}",
        "Bonjour {{ name }},\n\n{{ product }} a reçu {{ rating }} étoiles sur 5.",
        "{{ product }} a reçu {{ rating }} étoiles sur 5.",
    ),
    "abandoned_cart": Text(
        "Vous avez oublié quelque chose",
        "Bonjour {{ name }},\n\nil y a {% if units == 1 %}un article{% else %}{{ units }} articles{% endif %} "
        "pour {{ subtotal|money }} dans votre panier. Il vous attend.",
        "Votre panier de {{ subtotal|money }} vous attend.",
    ),
    "low_stock": Text(
        "{{ sku }} s'épuise",
        "Bonjour {{ name }},\n\nil ne reste que {{ available }} unités de {{ sku }}.",
        "Il ne reste que {{ available }} unités de {{ sku }}.",
    ),
    "live_started": Text(
        "{{ shop }} est en direct",
        "Bonjour {{ name }},\n\n{{ title }} vient de commencer.",
        "{{ title }} vient de commencer.",
    ),
    "video_processed": Text(
        "Votre vidéo est prête",
        "Bonjour {{ name }},\n\nvotre vidéo {{ title }} peut maintenant être montrée.",
        "Votre vidéo {{ title }} peut maintenant être montrée.",
    ),
    "digest": Text(
        "{{ count }} nouvelles notifications",
        "{% for title in titles %}{{ title }}\n{% endfor %}",
        "{{ titles|join(' · ')|truncate(160) }}",
    ),
}

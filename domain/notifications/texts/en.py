"""English."""

from domain.notifications.texts import Text

TEXTS = {
    "welcome": Text(
        "Welcome to {{ shop }}",
        "Hello {{ name }},\n\nyour account at {{ shop }} is ready. We are glad to have you.",
        "Your account is ready, {{ name }}.",
    ),
    "registration_repeated": Text(
        "You already have an account",
        "Hello {{ name }},\n\nsomebody tried to register at {{ shop }} with your address. If it was you: you have an account already, just log in. "
        "If it was not, there is nothing to do.",
        "Somebody tried to register with your address.",
    ),
    "password_changed": Text(
        "Your password was changed",
        "Hello {{ name }},\n\nthe password of your account at {{ shop }} was changed. If that was not you, please tell us at once.",
        "Your password was changed. If that was not you, please tell us at once.",
    ),
    "one_time_code": Text(
        "Your code for {{ shop }}",
        "Hello {{ name }},\n\nyour code is {{ code }}. It is good for {{ minutes }} minutes and for one use. "
        "Tell it to nobody, and ignore this letter if you have not asked for it.",
        "{{ shop }}: your code is {{ code }}, good for {{ minutes }} minutes. Tell it to nobody.",
    ),
    "password_reset": Text(
        "Set a new password",
        "Hello {{ name }},\n\nsomebody has asked to set the password of your account at {{ shop }} anew. With this link you can do so "
        "within {{ minutes }} minutes, once. If it was not you, there is nothing to do.",
        "Set a new password for {{ shop }} within {{ minutes }} minutes.",
    ),
    "new_device": Text(
        "A log-in from a new place",
        "Hello {{ name }},\n\nsomebody has logged in to your account at {{ shop }} from where you never did before. If it was you, there is "
        "nothing to do. If it was not, end that session and change your password at once.",
        "Somebody has logged in to your account from a new place. If it was not you, change your password at once.",
    ),
    "two_factor_enabled": Text(
        "Your account asks for a second factor now",
        "Hello {{ name }},\n\nlogging in to your account at {{ shop }} takes a code of your app from now on. Keep the recovery codes "
        "where you find them without your phone. If that was not you, please tell us at once.",
        "Logging in takes a second factor from now on. If that was not you, please tell us at once.",
    ),
    "two_factor_disabled": Text(
        "Your account asks for no second factor any more",
        "Hello {{ name }},\n\nthe second factor of your account at {{ shop }} was turned off. If that was not you, please tell us at once.",
        "The second factor was turned off. If that was not you, please tell us at once.",
    ),
    "passkey_added": Text(
        "A new passkey",
        "Hello {{ name }},\n\na passkey was added to your account at {{ shop }}; whoever has its device can log in. If that was not you, "
        "please tell us at once.",
        "A passkey was added to your account. If that was not you, please tell us at once.",
    ),
    "recovery_code_used": Text(
        "A recovery code was used",
        "Hello {{ name }},\n\nsomebody has used one of the recovery codes of your account at {{ shop }}; {{ left }} are left. If that was not "
        "you, please tell us at once.",
        "A recovery code was used; {{ left }} are left. If that was not you, please tell us at once.",
    ),
    "data_export_ready": Text(
        "Your data is ready",
        "Hello {{ name }},\n\nthe copy of your data at {{ shop }} is ready. Log in to fetch it until {{ until }}; nobody else can.",
        "The copy of your data is ready until {{ until }}.",
    ),
    "erasure_requested": Text(
        "Your account will be erased",
        "Hello {{ name }},\n\nyour account at {{ shop }} and what we hold about you will be erased on {{ due }}. Until then you can log in and take "
        "it back. If you did not ask for it, please do so, and tell us.",
        "Your account will be erased on {{ due }}. Until then you can take it back.",
    ),
    "impersonated": Text(
        "Somebody of our staff acted in your account",
        "Hello {{ name }},\n\nsomebody of the staff of {{ shop }} has opened your account to help you. The reason given: {{ reason }}. "
        "You find it in your login log. If you did not ask for help, please tell us.",
        "Somebody of our staff has opened your account. The reason given: {{ reason }}.",
    ),
    "order_confirmation": Text(
        "Your order {{ number }}",
        "Hello {{ name }},\n\nthank you for your order {{ number }} over {{ total|money }}. We tell you as soon as it is on its way.",
        "Thank you: we have received your order {{ number }} over {{ total|money }}.",
    ),
    "order_paid": Text(
        "We have received your payment",
        "Hello {{ name }},\n\nyour payment of {{ total|money }} has arrived. We prepare your order now.",
        "Your payment of {{ total|money }} has arrived.",
    ),
    "sale_paid": Text(
        "You have sold something",
        "Hello {{ name }},\n\nan order for your goods has been paid and can be prepared.",
        "An order for your goods has been paid and can be prepared.",
    ),
    "order_shipped": Text(
        "Your order {{ number }} is on its way",
        "Hello {{ name }},\n\nyour order {{ number }} has left us."
        "{% if tracking_number %}\n\nYour tracking number is {{ tracking_number }}.{% endif %}",
        "Order {{ number }} has left us.{% if tracking_number %} Tracking number: {{ tracking_number }}.{% endif %}",
    ),
    "order_cancelled": Text(
        "Your order {{ number }} was cancelled",
        "Hello {{ name }},\n\nyour order {{ number }} was cancelled. What you have paid comes back to you.",
        "Order {{ number }} was cancelled.",
    ),
    "order_refunded": Text(
        "A refund for your order {{ number }}",
        "Hello {{ name }},\n\nfor your order {{ number }} we have sent {{ total|money }} back to you.",
        "{{ total|money }} of order {{ number }} is on its way back to you.",
    ),
    "review_invitation": Text(
        "How do you like it?",
        "Hello {{ name }},\n\nyour order {{ number }} has arrived. Others would like to know what you think of it.",
        "Order {{ number }} has arrived: tell others what you think of it.",
    ),
    "payment_failed": Text(
        "Your payment did not work",
        "Hello {{ name }},\n\nyour payment could not be taken: {{ reason }}. Nothing was charged; please try again.",
        "Your payment could not be taken: {{ reason }}.",
    ),
    "delivery_arriving": Text(
        "Your delivery is almost there",
        "Hello {{ name }},\n\nthe driver is about to arrive.",
        "{{ shop }}: the driver is about to arrive.",
    ),
    "delivery_completed": Text(
        "Your delivery has arrived",
        "Hello {{ name }},\n\nyour delivery has been handed over. Enjoy it!",
        "Your delivery has been handed over. Enjoy it!",
    ),
    "delivery_failed": Text(
        "We could not deliver",
        "Hello {{ name }},\n\nyour delivery could not be handed over: {{ reason }}. Please choose another time.",
        "{{ shop }}: your delivery could not be handed over: {{ reason }}. Please choose another time.",
    ),
    "new_message": Text(
        "A new message",
        "Hello {{ name }},\n\nsomebody wrote to you:\n\n{{ preview }}",
        "{{ preview }}",
    ),
    "review_received": Text(
        "A review of {{ product }}",
        "Hello {{ name }},\n\n{{ product }} was given {{ rating }} of 5 stars.",
        "{{ product }} was given {{ rating }} of 5 stars.",
    ),
    "abandoned_cart": Text(
        "You have left something behind",
        "Hello {{ name }},\n\nthere {% if units == 1 %}is one article{% else %}are {{ units }} articles{% endif %} "
        "for {{ subtotal|money }} in your cart. It waits for you.",
        "Your cart for {{ subtotal|money }} waits for you.",
    ),
    "low_stock": Text(
        "{{ sku }} is running low",
        "Hello {{ name }},\n\nof {{ sku }} only {{ available }} are left.",
        "Of {{ sku }} only {{ available }} are left.",
    ),
    "live_started": Text(
        "{{ shop }} is live",
        "Hello {{ name }},\n\n{{ title }} has just begun.",
        "{{ title }} has just begun.",
    ),
    "video_processed": Text(
        "Your video is ready",
        "Hello {{ name }},\n\nyour video {{ title }} can be shown now.",
        "Your video {{ title }} can be shown now.",
    ),
    "digest": Text(
        "{{ count }} new notifications",
        "{% for title in titles %}{{ title }}\n{% endfor %}",
        "{{ titles|join(' · ')|truncate(160) }}",
    ),
}
